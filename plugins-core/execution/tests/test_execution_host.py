from __future__ import annotations

import os
import sys

import pytest

from proxima_execution.host import _cgroup_headroom, available_memory, fingerprint, peak_rss_bytes, processor_count


def test_knows_this_machine():
    assert 1 <= processor_count() <= (os.cpu_count() or 1)
    assert fingerprint() == fingerprint()
    assert fingerprint()["processors"] == str(processor_count())


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_what_the_system_says():
    with open("/proc/meminfo") as file:
        total = next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemTotal"))
    assert 0 < available_memory() <= total
    assert 5_000_000 < peak_rss_bytes() < total


def group(tmp_path, files: dict[str, str], membership: str) -> int | None:
    for name, content in files.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (tmp_path / "membership").write_text(membership)
    return _cgroup_headroom(str(tmp_path / "membership"), str(tmp_path / "root"))


def test_the_tightest_limit_of_nested_control_groups_counts(tmp_path):
    files = {
        "a/b/memory.max": "max\n", "a/b/memory.current": "10\n",
        "a/memory.max": "1000\n", "a/memory.current": "400\n",
        "memory.max": "5000\n", "memory.current": "500\n",
    }  # fmt: skip
    assert group(tmp_path, files, "0::/a/b\n") == 600


def test_reads_version_one_and_a_container_whose_path_is_the_hosts(tmp_path):
    files = {"memory/memory.limit_in_bytes": "2000", "memory/memory.usage_in_bytes": "500"}
    assert group(tmp_path, files, "4:cpu:/x\n3:memory:/docker/0123\n") == 1500


def test_no_control_group_means_no_limit(tmp_path):
    assert group(tmp_path, {}, "0::/a\n") is None
    assert _cgroup_headroom(str(tmp_path / "absent")) is None
