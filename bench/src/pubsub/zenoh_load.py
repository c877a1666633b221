"""Publish and subscribe through a Zenoh router, with Zenoh's own Python library.

`router PORT` is the router; `load …` is the load: one process publishes, others subscribe, and one JSON line tells what
came of it, as the other loads tell it.
"""

import argparse
import json
import multiprocessing
import os
import signal
import struct
import time

import zenoh

KEY = "live/published"
STAMP = struct.Struct("<QQ")
TIMED_EVERY = 64
TAIL_WAIT_S = 2.0
LOST_AFTER_S = 0.5
TICKS = os.sysconf("SC_CLK_TCK")


def opened(mode: str, listen: str | None, connect: str | None) -> zenoh.Session:
    config = zenoh.Config()
    config.insert_json5("mode", json.dumps(mode))
    config.insert_json5("scouting/multicast/enabled", "false")
    config.insert_json5("listen/endpoints", json.dumps([listen] if listen else []))
    config.insert_json5("connect/endpoints", json.dumps([connect] if connect else []))
    return zenoh.open(config)


def route(port: int) -> None:
    with opened("router", f"tcp/127.0.0.1:{port}", None):
        signal.pause()


def cpu_us(process: int) -> float:
    with open(f"/proc/{process}/stat", encoding="ascii") as file:
        items = file.read().rpartition(")")[2].split()
    return (int(items[11]) + int(items[12])) * 1e6 / TICKS


def subscribe(place: int, port: int, seen, nexts, state, answers) -> None:
    latencies: list[int] = []

    def came(sample: zenoh.Sample) -> None:
        written, number = STAMP.unpack_from(sample.payload.to_bytes())
        if number < nexts[place]:
            raise ValueError(f"message {number} came where {nexts[place]} was due")
        seen[place] += 1
        nexts[place] = number + 1
        if number % TIMED_EVERY == 0 and state[1]:
            latencies.append(time.monotonic_ns() - written)

    with opened("client", None, f"tcp/127.0.0.1:{port}") as session:
        session.declare_subscriber(KEY, came)
        answers.put(None)
        while not state[2]:
            time.sleep(0.01)
    answers.put(latencies)


def publish(options, nexts, state) -> None:
    payload = bytearray(b"x" * options.payload_bytes)
    with opened("client", None, f"tcp/127.0.0.1:{options.port}") as session:
        publisher = session.declare_publisher(KEY, congestion_control=zenoh.CongestionControl.BLOCK)
        sent = 0
        while not state[0]:
            until = time.monotonic() + LOST_AFTER_S
            while min(nexts) + options.window < sent + TIMED_EVERY and time.monotonic() < until and not state[0]:
                time.sleep(0.0002)
            for _ in range(TIMED_EVERY):
                STAMP.pack_into(payload, 0, time.monotonic_ns(), sent)
                publisher.put(bytes(payload))
                sent += 1
        state[3] = sent
        while not state[2]:
            time.sleep(0.01)


def load(options) -> None:
    seen, nexts = (multiprocessing.Array("Q", options.subscribers, lock=False) for _ in range(2))
    # Whether publishing is over, the clock runs, everything is over; then how many messages were published.
    state = multiprocessing.Array("Q", 4, lock=False)
    answers = multiprocessing.Queue()
    places = range(options.subscribers)
    subscribers = [
        multiprocessing.Process(target=subscribe, args=(place, options.port, seen, nexts, state, answers))
        for place in places
    ]
    for process in subscribers:
        process.start()
    for _ in subscribers:
        answers.get()
    publisher = multiprocessing.Process(target=publish, args=(options, nexts, state))
    publisher.start()
    own = [process.pid for process in [*subscribers, publisher]]

    def reading() -> tuple[float, int, float, float]:
        return time.monotonic(), sum(seen), cpu_us(options.server), sum(map(cpu_us, own))

    while sum(seen) == 0:
        time.sleep(0.01)
    time.sleep(options.warm_up_ms / 1e3)
    before = reading()
    state[1] = 1
    time.sleep(options.load_ms / 1e3)
    state[1] = 0
    after = reading()
    state[0] = 1
    until = time.monotonic() + TAIL_WAIT_S
    while (state[3] == 0 or min(nexts) < state[3]) and time.monotonic() < until:
        time.sleep(0.01)
    sent = state[3]
    state[2] = 1
    latencies = sorted(latency for _ in subscribers for latency in answers.get())
    for process in [*subscribers, publisher]:
        process.join()
    took, delivered, server, generator = (late - early for early, late in zip(before, after))

    def micros(share: float) -> float:
        return latencies[min(int(len(latencies) * share), len(latencies) - 1)] / 1e3 if latencies else 0.0

    measured = {
        "delivered": delivered,
        "per_second": delivered / took,
        "server_us": server / delivered,
        "generator_us": generator / delivered,
        "p50_us": micros(0.5),
        "p99_us": micros(0.99),
        "lost": sum(sent - count for count in seen),
    }
    print(json.dumps(measured))


def main() -> None:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("router").add_argument("port", type=int)
    loaded = commands.add_parser("load")
    for name in ("port", "server", "subscribers", "payload-bytes", "window", "warm-up-ms", "load-ms"):
        loaded.add_argument(f"--{name}", type=int, required=True)
    options = parser.parse_args()
    if options.command == "router":
        route(options.port)
    else:
        load(options)


if __name__ == "__main__":
    main()
