"""The network broker and the worker's side of it, with real sockets on loopback and a child process as the plugin."""

import os
import socket
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

import pytest

from proxima.errors import (
    DeadlineExceededError,
    PermissionDeniedError,
    ResourceError,
    UnavailableError,
)
from proxima.paths import Paths
from proxima.permissions import Permission, Permissions
from proxima.sandbox import netbroker
from proxima.sandbox.addresses import is_local, is_loopback, is_public, may_stand_for
from proxima.sandbox.netbroker import NetworkBroker


@pytest.fixture
def permissions(tmp_path):
    opened = Permissions.open(Paths.under(str(tmp_path / "home")))
    yield opened
    opened.close()


def grant(permissions, *granted, plugin="tea"):
    permissions.declare(plugin, "1.0", granted)
    for text in granted:
        permissions.grants.grant(plugin, Permission.parse(text))


@pytest.fixture
def broker(permissions):
    made = NetworkBroker(permissions, seconds=5)
    made.open("tea")
    yield made
    made.close("tea")


class Listener:
    """A TCP server on loopback that keeps what connected to it."""

    def __init__(self, address="127.0.0.1", backlog=200):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = socket.create_server((address, 0), family=family, backlog=backlog)
        self.port = self.socket.getsockname()[1]

    def accept(self):
        self.socket.settimeout(5)
        accepted, _ = self.socket.accept()
        accepted.settimeout(5)
        return accepted

    def is_untouched(self):
        self.socket.settimeout(0.05)
        try:
            self.socket.accept()[0].close()
        except TimeoutError:
            return True
        return False


@pytest.fixture
def listener():
    made = Listener()
    yield made
    made.socket.close()


def answer_with(monkeypatch, *addresses):
    """Have every name lead to these addresses; returns the names that were looked up."""
    asked = []

    def getaddrinfo(host, port, *args, **kwargs):
        asked.append(host)
        return [
            (socket.AF_INET6 if ":" in each else socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port))
            for each in addresses
        ]

    monkeypatch.setattr(netbroker.socket, "getaddrinfo", getaddrinfo)
    return asked


def test_connects_to_what_is_granted_and_passes_the_socket(broker, permissions, listener):
    grant(permissions, f"network:localhost:{listener.port}")
    with socket.socket(fileno=broker.connect("tea", "localhost", listener.port)) as connection:
        assert connection.getpeername() == ("127.0.0.1", listener.port)
        assert connection.gettimeout() is None
        assert not os.get_inheritable(connection.fileno())
        with listener.accept() as other:
            connection.sendall(b"tea")
            assert other.recv(10) == b"tea"
    (row,) = permissions.audit.search(plugin="tea", outcome="used")
    assert (row.permission, row.target) == (f"network:localhost:{listener.port}", f"localhost:{listener.port}")


def test_a_name_in_capitals_is_the_same_name(broker, permissions, listener):
    grant(permissions, f"network:localhost:{listener.port}")
    os.close(broker.connect("tea", "LOCALHOST", listener.port))


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "0x7f.1", "0x7f000001", "2130706433", "0177.0.0.1", "127.0.0.1.", "0", "0.0.0.0"),
        *(
            "::1",
            "[::1]",
            "::ffff:127.0.0.1",
            "[::ffff:7f00:1]",
            "fe80::1%lo",
            "localhost.",
            "localhost%lo",
            "ip6-localhost",
        ),
        *("localhost\0.example.org", "example.org\0localhost", "localhost ", " localhost", "localhost\n", "local host"),
        *(
            "localhost:80",
            "localhost/",
            "user@localhost",
            "localhost#",
            "*.localhost",
            "*",
            "",
            ".",
            "..",
            "a..b",
            "-a",
        ),
        *(
            "ｌｏｃａｌｈｏｓｔ",
            "localhoſt",
            "lоcalhost",
            "１２７.0.0.1",
            "127。0。0。1",
            "xn--",
            "a" * 64,
            "a." * 200,
            "\ud800",
        ),
        *("169.254.169.254", "metadata.google.internal", "localhost.localdomain"),
    ],
)
def test_refuses_every_other_way_to_write_a_host(broker, permissions, listener, host):
    grant(permissions, f"network:localhost:{listener.port}", "network:example.org")
    with pytest.raises(PermissionDeniedError):
        broker.connect("tea", host, listener.port)
    assert listener.is_untouched()
    (row,) = permissions.audit.search(plugin="tea", outcome="blocked")
    assert len(row.permission) < 300


@pytest.mark.parametrize("port", [0, -1, 65536, 10**30])
def test_refuses_what_is_not_a_port(broker, permissions, port):
    grant(permissions, "network:localhost:1")
    with pytest.raises(PermissionDeniedError, match="is not a port"):
        broker.connect("tea", "localhost", port)


def test_a_host_without_a_port_is_granted_on_443_alone(broker, permissions, listener, monkeypatch):
    grant(permissions, "network:example.org")
    asked = answer_with(monkeypatch, "127.0.0.1")
    with pytest.raises(PermissionDeniedError, match=f"may not use network:example.org:{listener.port}"):
        broker.connect("tea", "example.org", listener.port)
    assert asked == []


def test_a_denial_names_the_permission_and_resolves_nothing(broker, permissions, monkeypatch):
    asked = answer_with(monkeypatch, "127.0.0.1")
    with pytest.raises(PermissionDeniedError, match=r"network:evil\.example:8080"):
        broker.connect("tea", "evil.example", 8080)
    assert asked == []


PRIVATE = [
    *(
        "127.0.0.1",
        "127.9.9.9",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "0.0.0.0",
    ),
    *("100.64.0.1", "100.127.255.255", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1"),
    *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "192.88.99.1", "168.63.129.16", "0.1.2.3"),
    *("::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "fe80::1", "fe80::1%1", "fc00::1", "fd12::1"),
    *("ff02::1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "100::1"),
    *("2001::1", "2001:db8::1", "3fff::1", "fec0::1", "4000::1", "5f00::1", "2606:4700::1%1"),
]
PUBLIC = ["8.8.8.8", "172.32.0.1", "100.128.0.1", "1.1.1.1", "2606:4700::1111", "2a00:1450::1", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", PRIVATE)
def test_a_public_name_does_not_lead_inside(broker, permissions, monkeypatch, address):
    assert not is_public(ip_address(address))
    grant(permissions, "network:example.org")
    answer_with(monkeypatch, address)
    with pytest.raises(PermissionDeniedError, match=r"network:example.org: the name leads to"):
        broker.connect("tea", "example.org", 443)
    assert permissions.audit.search(limit=1)[0].outcome == "blocked"


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_on_the_internet_are_public(address):
    parsed = ip_address(address)
    assert is_public(parsed)
    assert not is_local(parsed)
    assert not is_loopback(parsed)
    assert may_stand_for("example.org", True, parsed)


def test_a_wide_grant_does_not_lead_inside_either(broker, permissions, monkeypatch, listener):
    grant(permissions, "network")
    answer_with(monkeypatch, "127.0.0.1", "192.168.0.1")
    for host in ("example.org", "10.0.0.1", "127.0.0.1", "localhost", "router", "printer.local"):
        with pytest.raises(PermissionDeniedError):
            broker.connect("tea", host, 443)


def test_localhost_leads_to_this_computer_alone(broker, permissions, monkeypatch):
    grant(permissions, "network:localhost:80", "network:a.localhost:80")
    answer_with(monkeypatch, "8.8.8.8", "192.168.1.1", "::ffff:127.0.0.1", "0.0.0.0")
    for host in ("localhost", "a.localhost"):
        with pytest.raises(PermissionDeniedError):
            broker.connect("tea", host, 80)


def test_a_private_name_leads_to_its_own_network_and_not_to_this_computer():
    local, here = ip_address("192.168.1.9"), ip_address("127.0.0.1")
    for host in ("nas.local", "router"):
        assert may_stand_for(host, False, local)
        assert may_stand_for(host, False, ip_address("fd00::9"))
        assert not may_stand_for(host, False, here)
    assert may_stand_for("127.0.0.1", False, here)
    assert may_stand_for("169.254.169.254", False, ip_address("169.254.169.254"))
    assert not may_stand_for("224.0.0.1", False, ip_address("224.0.0.1"))
    assert not may_stand_for("0.0.0.0", False, ip_address("0.0.0.0"))


def test_a_name_is_resolved_once_and_the_checked_address_is_the_connected_one(
    broker, permissions, monkeypatch, listener
):
    grant(permissions, f"network:localhost:{listener.port}")
    answers = iter([["127.0.0.1"], ["8.8.8.8"], ["8.8.8.8"]])
    asked = []

    def rebinding(host, port, *args, **kwargs):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in next(answers)]

    monkeypatch.setattr(netbroker.socket, "getaddrinfo", rebinding)
    with socket.socket(fileno=broker.connect("tea", "localhost", listener.port)) as connection:
        assert connection.getpeername()[0] == "127.0.0.1"
    assert asked == ["localhost"]


def test_of_several_addresses_only_those_that_are_meant_are_tried(broker, permissions, monkeypatch, listener):
    grant(permissions, f"network:localhost:{listener.port}")
    answer_with(monkeypatch, "::ffff:127.0.0.1", "10.255.255.1", "127.0.0.1")
    start = time.monotonic()
    os.close(broker.connect("tea", "localhost", listener.port))
    assert time.monotonic() - start < 2


def test_the_next_address_is_tried_where_one_does_not_answer(broker, permissions, monkeypatch, listener):
    grant(permissions, f"network:localhost:{listener.port}")
    answer_with(monkeypatch, "127.0.0.2", "::1", "127.0.0.1")
    with socket.socket(fileno=broker.connect("tea", "localhost", listener.port)) as connection:
        assert connection.getpeername()[0] == "127.0.0.1"


def test_nobody_there_and_no_such_name_are_unavailable(broker, permissions, monkeypatch, listener):
    port = listener.port
    listener.socket.close()
    grant(permissions, f"network:localhost:{port}", "network:example.org")
    with pytest.raises(UnavailableError, match=f"cannot connect to localhost:{port}: Connection refused"):
        broker.connect("tea", "localhost", port)

    def no_such_name(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(netbroker.socket, "getaddrinfo", no_such_name)
    with pytest.raises(UnavailableError, match=r"example\.org cannot be resolved: Name or service not known"):
        broker.connect("tea", "example.org", 443)


def test_a_resolver_that_never_answers_meets_the_deadline_and_a_limit(broker, permissions, monkeypatch):
    grant(permissions, "network:example.org")
    answers = threading.Event()

    def silent(*args, **kwargs):
        answers.wait(20)
        raise socket.gaierror(socket.EAI_AGAIN, "later")

    monkeypatch.setattr(netbroker.socket, "getaddrinfo", silent)
    try:
        for _ in range(netbroker.MAX_RESOLVING):
            with pytest.raises(DeadlineExceededError, match=r"example\.org was not resolved in time"):
                broker.connect("tea", "example.org", 443, seconds=0.01)
        with pytest.raises(ResourceError, match="names to be resolved already"):
            broker.connect("tea", "example.org", 443, seconds=0.01)
    finally:
        answers.set()


def test_a_host_that_does_not_accept_meets_the_deadline(broker, permissions):
    full = Listener(backlog=0)
    grant(permissions, f"network:localhost:{full.port}")
    waiting = []
    try:
        for _ in range(4):  # the queue takes one or two, and then answers no SYN
            each = socket.socket()
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", full.port))
            waiting.append(each)
        start = time.monotonic()
        with pytest.raises(DeadlineExceededError, match="did not answer in time"):
            broker.connect("tea", "localhost", full.port, seconds=0.3)
        assert 0.2 < time.monotonic() - start < 3
    finally:
        for each in (*waiting, full.socket):
            each.close()


def test_the_end_of_a_worker_ends_its_connections(broker, permissions, listener):
    grant(permissions, f"network:localhost:{listener.port}")
    with (
        socket.socket(fileno=broker.connect("tea", "localhost", listener.port)) as one,
        listener.accept() as first,
    ):
        broker.close("tea")
        assert first.recv(1) == b""
        one.settimeout(1)
        assert one.recv(1) == b""


def test_what_ends_while_it_is_connected_is_not_passed(broker, permissions, monkeypatch, listener):
    grant(permissions, f"network:localhost:{listener.port}")
    real, begun, go_on = socket.getaddrinfo, threading.Event(), threading.Event()

    def slow(*args, **kwargs):
        begun.set()
        go_on.wait(5)
        return real(*args, **kwargs)

    monkeypatch.setattr(netbroker.socket, "getaddrinfo", slow)
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(broker.connect, "tea", "localhost", listener.port)
        assert begun.wait(5)
        broker.close("tea")
        go_on.set()
        with pytest.raises(PermissionDeniedError, match="was stopped while it connected"):
            result.result(5)
    with listener.accept() as accepted:
        assert accepted.recv(1) == b""


def test_nothing_is_connected_for_a_plugin_that_does_not_run(broker, permissions, listener):
    grant(permissions, f"network:localhost:{listener.port}", plugin="cake")
    with pytest.raises(PermissionDeniedError, match="does not run"):
        broker.connect("cake", "localhost", listener.port)
    broker.open("cake")
    with socket.socket(fileno=broker.connect("cake", "localhost", listener.port)), listener.accept() as accepted:
        broker.close("cake")
        assert accepted.recv(1) == b""


def test_one_plugin_does_not_have_what_another_was_granted(broker, permissions, listener):
    grant(permissions, f"network:localhost:{listener.port}", plugin="cake")
    permissions.declare("tea", "1.0", [f"network:localhost:{listener.port}"])
    with pytest.raises(PermissionDeniedError, match=f"tea was denied network:localhost:{listener.port}"):
        broker.connect("tea", "localhost", listener.port)


def test_open_connections_are_limited_and_closed_ones_do_not_count(broker, permissions, listener):
    grant(permissions, f"network:localhost:{listener.port}")
    mine = [socket.socket(fileno=broker.connect("tea", "localhost", listener.port)) for _ in range(netbroker.MAX_OPEN)]
    with pytest.raises(ResourceError, match=f"has {netbroker.MAX_OPEN} connections open"):
        broker.connect("tea", "localhost", listener.port)
    for each in mine[:2]:
        each.shutdown(socket.SHUT_RDWR)
        each.close()
    os.close(broker.connect("tea", "localhost", listener.port))
    for each in mine[2:]:
        each.close()


def test_asking_is_limited_denied_or_not(broker, permissions, monkeypatch):
    monkeypatch.setattr(netbroker, "MAX_PER_MINUTE", 20)
    for _ in range(20):
        with pytest.raises(PermissionDeniedError):
            broker.connect("tea", "evil.example", 443)
    with pytest.raises(ResourceError, match="more than 20 connections in a minute"):
        broker.connect("tea", "evil.example", 443)
    assert len(permissions.audit.search(plugin="tea")) == 20


def test_no_descriptor_is_left_over(broker, permissions, listener):
    grant(permissions, f"network:localhost:{listener.port}")
    os.close(broker.connect("tea", "localhost", listener.port))
    broker.open("tea")
    listener.accept().close()
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(50):
        os.close(broker.connect("tea", "localhost", listener.port))
        broker.open("tea")
        listener.accept().close()
        with pytest.raises(PermissionDeniedError):
            broker.connect("tea", "localhost", 1)
    assert sorted(os.listdir("/proc/self/fd")) == before


# From here on a child process is the plugin.


CLIENTS = {
    "urllib": """
        import ssl, urllib.request
        context = ssl.create_default_context(cafile=CA)
        def get(url):
            with urllib.request.urlopen(url, context=context, timeout=10) as answer:
                return answer.read().decode()
    """,
    "http.client": """
        import http.client, ssl
        from urllib.parse import urlsplit
        context = ssl.create_default_context(cafile=CA)
        def get(url):
            parts = urlsplit(url)
            connection = http.client.HTTPSConnection(parts.hostname, parts.port, context=context)
            connection.request("GET", parts.path)
            text = connection.getresponse().read().decode()
            connection.close()
            return text
    """,
    "create_connection": """
        import socket, ssl
        from urllib.parse import urlsplit
        context = ssl.create_default_context(cafile=CA)
        def get(url):
            parts = urlsplit(url)
            with socket.create_connection((parts.hostname, parts.port), timeout=10) as plain:
                with context.wrap_socket(plain, server_hostname=parts.hostname) as secure:
                    assert secure.gettimeout() == 10
                    secure.sendall(f"GET {parts.path} HTTP/1.0\\r\\nHost: {parts.netloc}\\r\\n\\r\\n".encode())
                    return secure.makefile("rb").read().decode().partition("\\r\\n\\r\\n")[2]
    """,
    "asyncio": """
        import asyncio, ssl
        from urllib.parse import urlsplit
        context = ssl.create_default_context(cafile=CA)
        async def fetch(url):
            parts = urlsplit(url)
            ticking = asyncio.ensure_future(asyncio.sleep(0))
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=context)
            assert ticking.done(), "the loop stood still"
            writer.write(f"GET {parts.path} HTTP/1.0\\r\\nHost: {parts.netloc}\\r\\n\\r\\n".encode())
            text = (await reader.read()).decode().partition("\\r\\n\\r\\n")[2]
            writer.close()
            return text
        def get(url):
            return asyncio.run(fetch(url))
    """,
    "requests": """
        import requests
        def get(url):
            answer = requests.get(url, verify=CA, timeout=10)
            answer.raise_for_status()
            return answer.text
    """,
    "httpx": """
        import httpx, ssl
        def get(url):
            with httpx.Client(verify=ssl.create_default_context(cafile=CA), follow_redirects=True) as client:
                return client.get(url).raise_for_status().text
    """,
    "httpx async": """
        import asyncio, httpx, ssl
        async def fetch(url):
            async with httpx.AsyncClient(verify=ssl.create_default_context(cafile=CA), follow_redirects=True) as client:
                return (await client.get(url)).raise_for_status().text
        def get(url):
            return asyncio.run(fetch(url))
    """,
}
MODULES = {"requests": "requests", "httpx": "httpx", "httpx async": "httpx"}


def client(name):
    if name in MODULES:
        pytest.importorskip(MODULES[name])
    return "\nCA = sys.argv[1]\n" + textwrap.dedent(CLIENTS[name])


@pytest.mark.parametrize("name", CLIENTS)
def test_clients_speak_tls_to_what_is_granted(brokered, authority, https, name):
    brokered.grant(f"network:localhost:{https}")
    code = client(name) + "\nfor _ in range(2): print(get(sys.argv[2]))\n"
    assert brokered.run(code, authority[0], f"https://localhost:{https}/tea") == f"/tea for localhost:{https}\n" * 2


@pytest.mark.parametrize("name", CLIENTS)
def test_a_denied_client_raises_a_permission_error_that_names_the_permission(brokered, authority, https, name):
    code = client(name) + textwrap.dedent("""
        try:
            get(sys.argv[2])
        except Exception as error:
            while error and not isinstance(error, PermissionError):
                error = error.__cause__ or error.__context__
            print(type(error).__name__, error)
    """)
    out = brokered.run(code, authority[0], f"https://localhost:{https}/tea")
    assert out.startswith("PermissionDeniedError ")
    assert f"network:localhost:{https}" in out


@pytest.mark.parametrize("name", ["urllib", "requests", "httpx", "httpx async"])
def test_a_redirect_asks_again(brokered, authority, https, listener, name):
    brokered.grant(f"network:localhost:{https}")
    code = client(name) + textwrap.dedent("""
        for place in sys.argv[3:]:
            try:
                print(get(f"{sys.argv[2]}/go/{place}"))
            except OSError as error:
                print("refused", type(error).__name__)
            except Exception as error:
                print("refused", type(error).__name__)
    """)
    there = [f"https://localhost:{listener.port}/", f"https://127.0.0.1:{https}/", f"https://[::1]:{https}/"]
    out = brokered.run(code, authority[0], f"https://localhost:{https}", *there, f"https://localhost:{https}/ok")
    lines = out.splitlines()
    assert [line.split()[0] for line in lines] == ["refused"] * 3 + ["/ok"]
    assert listener.is_untouched()


def test_a_certificate_of_nobody_we_trust_is_refused_inside_the_plugin(brokered, authority, https):
    brokered.grant(f"network:localhost:{https}")
    code = """
        import ssl, urllib.request
        try:
            urllib.request.urlopen(sys.argv[1], context=ssl.create_default_context(), timeout=10)
        except OSError as error:
            print(error)
    """
    assert "CERTIFICATE_VERIFY_FAILED" in brokered.run(code, f"https://localhost:{https}/")


def test_sockets_behave_as_sockets(brokered, listener):
    brokered.grant(f"network:localhost:{listener.port}")
    echo = threading.Thread(target=_echo_all, args=(listener, 4))
    echo.start()
    code = """
        import errno, select
        port = int(sys.argv[1])
        one = socket.socket()
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        one.settimeout(7)
        number = one.fileno()
        one.connect(("localhost", port))
        assert one.fileno() == number and one.gettimeout() == 7 and one.getpeername()[1] == port
        assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        one.sendall(b"one")
        assert select.select([one], [], [], 5)[0] and one.recv(9) == b"one"
        one.close()
        assert one.fileno() == -1

        two = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        two.setblocking(False)
        assert two.connect_ex(("localhost", port)) == 0
        assert two.gettimeout() == 0
        try:
            two.recv(1)
        except BlockingIOError:
            print("would block")
        two.close()

        for row in socket.getaddrinfo("localhost", port, type=socket.SOCK_STREAM):
            with socket.socket(*row[:3]) as three:
                three.connect(row[4])
                three.sendall(b"three")
                assert three.recv(9) == b"three"
        socket.setdefaulttimeout(3)
        with socket.create_connection(("localhost", str(port))) as four:
            assert four.gettimeout() == 3
            four.sendall(b"four")
            assert four.recv(9) == b"four"
        left, right = socket.socketpair()
        left.sendall(b"pair")
        assert right.recv(9) == b"pair"
        left.close(); right.close()

        def refused(make):
            try:
                make()
            except OSError as error:
                return type(error).__name__
        print(refused(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)))
        print(refused(lambda: socket.socket().bind(("127.0.0.1", 0))))
        print(refused(lambda: socket.create_server(("127.0.0.1", 0))))
        print(refused(lambda: socket.create_connection(("localhost", port), source_address=("127.0.0.1", 0))))
        print(refused(lambda: socket.getaddrinfo("localhost", port, type=socket.SOCK_DGRAM)))
        print(refused(lambda: socket.getaddrinfo(None, port, flags=socket.AI_PASSIVE)))
        print(refused(lambda: socket.gethostbyname("localhost")), socket.gethostbyname("10.1.2.3"))
        print(refused(lambda: socket.create_connection(("localhost", 1))))
        print(socket.socket().connect_ex(("localhost", 1)) in (errno.EPERM, errno.EACCES))
    """
    out = brokered.run(code, listener.port)
    echo.join(10)
    assert out.splitlines() == [
        *("would block", "PermissionError", "PermissionError", "PermissionError", "PermissionError"),
        *("gaierror", "gaierror", "gaierror 10.1.2.3", "PermissionDeniedError", "True"),
    ]


def _echo_all(listener, count):
    for _ in range(count):
        with listener.accept() as accepted:
            while data := accepted.recv(100):
                accepted.sendall(data)


def test_closing_in_the_plugin_ends_the_connection_for_the_other_side(brokered, listener):
    brokered.grant(f"network:localhost:{listener.port}")
    seen = []

    def wait_for_end():
        with listener.accept() as accepted:
            seen.append(accepted.recv(1))

    waiting = threading.Thread(target=wait_for_end)
    waiting.start()
    code = """
        import time
        socket.create_connection(("localhost", int(sys.argv[1]))).close()
        time.sleep(0.5)
    """
    brokered.run(code, listener.port)
    waiting.join(10)
    assert seen == [b""]


def test_nothing_there_is_an_os_error_in_the_plugin(brokered, listener):
    listener.socket.close()
    brokered.grant(f"network:localhost:{listener.port}")
    code = """
        try:
            socket.create_connection(("localhost", int(sys.argv[1])))
        except OSError as error:
            print(error)
    """
    assert "Connection refused" in brokered.run(code, listener.port)
