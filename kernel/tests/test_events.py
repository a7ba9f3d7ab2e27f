import asyncio
import dataclasses
import gc
import random
import threading
import time

import pytest

from proxima.events import (
    BUFFER_SIZE,
    ErrorLine,
    Event,
    EventBus,
    OutputLine,
    ProgressUpdate,
    RunCompleted,
    RunStarted,
    StageChanged,
)


def line(text="x"):
    return OutputLine(process_id=1, text=text)


class Recorder:
    def __init__(self):
        self.events = []

    def __call__(self, event):
        self.events.append(event)

    def receive(self, event):
        self.events.append(event)


def test_events_are_immutable_and_know_their_time():
    before = time.time()
    event = ProgressUpdate(fraction=0.5, source="backend-cirq", run_id="r1")
    assert before <= event.timestamp <= time.time()
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.fraction = 1.0


def test_the_bus_numbers_events_from_one():
    bus, seen = EventBus(), Recorder()
    bus.subscribe(seen)
    for text in "abc":
        bus.publish(line(text))
    assert [(e.sequence, e.text) for e in seen.events] == [(1, "a"), (2, "b"), (3, "c")]


def test_listeners_get_only_their_types():
    bus, lines, runs = EventBus(), Recorder(), Recorder()
    bus.subscribe(lines, OutputLine, ErrorLine)
    bus.subscribe(runs, RunStarted)
    bus.publish(RunStarted(circuit="bell"))
    bus.publish(line())
    bus.publish(ErrorLine(process_id=1, text="oh"))
    bus.publish(RunCompleted(status="completed"))
    assert [type(e) for e in lines.events] == [OutputLine, ErrorLine]
    assert [type(e) for e in runs.events] == [RunStarted]


def test_an_event_published_by_a_listener_comes_after_the_current_one():
    bus, seen = EventBus(), Recorder()

    def echo(event):
        if event.text == "first":
            bus.publish(line("second"))

    bus.subscribe(echo, OutputLine)
    bus.subscribe(seen)  # would see "second" first if publishing were a plain nested call
    bus.publish(line("first"))
    assert [e.text for e in seen.events] == ["first", "second"]


def test_all_listeners_see_one_order_from_many_threads():
    bus, one, two = EventBus(), Recorder(), Recorder()
    bus.subscribe(one)
    bus.subscribe(two)

    def publish(name):
        for number in range(500):
            bus.publish(line(f"{name}:{number}"))

    threads = [threading.Thread(target=publish, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [e.sequence for e in one.events] == list(range(1, 2001))
    assert one.events == two.events
    for name in "abcd":  # and each thread's own events stay in its order
        numbers = [int(e.text.split(":")[1]) for e in one.events if e.text.startswith(name)]
        assert numbers == list(range(500))


def test_a_listener_that_raises_is_logged_by_name_and_the_others_go_on(caplog):
    bus, seen = EventBus(), Recorder()

    def breaks(event):
        raise ValueError("no")

    bus.subscribe(breaks)
    bus.subscribe(seen)
    bus.publish(line("a"))
    bus.publish(line("b"))
    assert [e.text for e in seen.events] == ["a", "b"]
    assert "breaks raised on OutputLine" in caplog.text
    assert "ValueError: no" in caplog.text


def test_an_interrupt_in_a_listener_does_not_block_the_bus():
    bus, seen = EventBus(), Recorder()

    def interrupted(event):
        if event.text == "a":
            raise KeyboardInterrupt

    bus.subscribe(interrupted)
    bus.subscribe(seen)
    with pytest.raises(KeyboardInterrupt):
        bus.publish(line("a"))
    bus.publish(line("b"))
    assert [e.text for e in seen.events] == ["b"]


def test_methods_are_held_weakly():
    bus, recorder = EventBus(), Recorder()
    events = recorder.events
    subscription = bus.subscribe(recorder.receive)
    bus.publish(line("a"))
    assert subscription.active
    del recorder
    gc.collect()
    bus.publish(line("b"))
    assert [e.text for e in events] == ["a"]
    assert not subscription.active


def test_a_lambda_that_nobody_holds_is_gone_at_once():
    bus, events = EventBus(), []
    bus.subscribe(lambda event: events.append(event))
    gc.collect()
    bus.publish(line())
    assert events == []


def test_dead_listeners_do_not_pile_up():
    bus = EventBus()
    for _ in range(100):
        bus.subscribe(lambda event: None)
        gc.collect(0)
    assert len(bus._subscriptions) <= 2


def test_cancel_ends_a_subscription():
    bus, seen = EventBus(), Recorder()
    subscription = bus.subscribe(seen)
    subscription.cancel()
    bus.publish(line())
    assert seen.events == []
    assert not subscription.active


def test_replay_keeps_the_latest_ten_thousand():
    bus = EventBus()
    for number in range(BUFFER_SIZE + 50):
        bus.publish(line(str(number)))
    remembered = bus.replay()
    assert len(remembered) == BUFFER_SIZE == 10_000
    assert remembered[0].text == "50"
    assert [e.sequence for e in bus.replay(since=BUFFER_SIZE + 48)] == [BUFFER_SIZE + 49, BUFFER_SIZE + 50]


def test_replay_filters_by_type():
    bus = EventBus()
    bus.publish(line())
    bus.publish(StageChanged(stage="execute"))
    assert [e.stage for e in bus.replay(StageChanged)] == ["execute"]


def test_subscribing_then_replaying_leaves_no_gap():
    bus, stop = EventBus(), threading.Event()

    def publish():
        while not stop.is_set():
            bus.publish(line())
            time.sleep(random.random() / 10_000)

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        for _ in range(50):
            seen = Recorder()
            subscription = bus.subscribe(seen)
            past = bus.replay()
            time.sleep(0.001)
            subscription.cancel()
            numbers = {e.sequence for e in past} | {e.sequence for e in list(seen.events)}
            assert numbers == set(range(1, max(numbers, default=0) + 1))
    finally:
        stop.set()
        thread.join()


def test_publishing_from_a_finaliser_does_not_deadlock():
    bus, seen = EventBus(), Recorder()
    bus.subscribe(seen)

    class Last:
        def __del__(self):
            bus.publish(line("gone"))

    with bus._state:  # where a garbage collection may hit
        Last()
        gc.collect()
    assert [e.text for e in seen.events] == ["gone"]


def test_a_stream_delivers_events_from_another_thread_in_order():
    bus = EventBus()

    async def consume():
        stream = bus.stream(OutputLine)
        thread = threading.Thread(target=lambda: [bus.publish(line(str(n))) for n in range(300)])
        thread.start()
        received = []
        async for event in stream:
            received.append(event.text)
            if len(received) == 300:
                stream.close()
        thread.join()
        return received, stream.dropped

    received, dropped = asyncio.run(asyncio.wait_for(consume(), 20))
    assert received == [str(n) for n in range(300)]
    assert dropped == 0


def test_a_slow_consumer_loses_the_oldest_and_knows_how_many():
    bus = EventBus()

    async def consume():
        stream = bus.stream(capacity=10)
        for n in range(25):
            bus.publish(line(str(n)))
        stream.close()
        return [event.text async for event in stream], stream.dropped

    received, dropped = asyncio.run(consume())
    assert received == [str(n) for n in range(15, 25)]
    assert dropped == 15


def test_closing_a_stream_wakes_its_consumer():
    bus = EventBus()

    async def consume():
        stream = bus.stream()
        threading.Timer(0.02, stream.close).start()
        return [event async for event in stream]

    assert asyncio.run(asyncio.wait_for(consume(), 20)) == []


def test_a_stream_whose_loop_is_closed_leaves_the_bus():
    bus = EventBus()

    async def open_stream():
        return bus.stream()

    stream = asyncio.run(open_stream())
    bus.publish(line())
    bus.publish(line())
    assert not stream._subscription.active


def test_event_fields_survive_numbering():
    bus = EventBus()
    event = RunStarted(circuit="bell", backend="qsim", run_id="r1", source="execution", timestamp=3.0)
    bus.publish(event)
    (seen,) = bus.replay()
    assert dataclasses.replace(seen, sequence=0) == event
    assert isinstance(seen, Event)
