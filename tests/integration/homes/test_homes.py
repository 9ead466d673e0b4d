"""G2: ``partition_of``, the partition on the broker, and the router's answer are one."""

import asyncio
import json
import os
import subprocess
import sys
import time

import pytest

from prom_faust import partition_of
from tests.support.worker import ROOT, FaustWorker

KEYS = 10_000
WRITTEN = 10
"""Every tenth key is written into the tables: Faust needs a minute for all."""
HELD = {"grouped": 500}
URLS = ("http://127.0.0.1:17001", "http://127.0.0.1:17002")


@pytest.fixture
def environment(kafka, mongo, unique, tmp_path):
    return {
        "KAFKA_URL": kafka.url,
        "MONGO_URL": mongo.url,
        "TOPIC": unique,
        "KEYS": str(KEYS),
        "WRITTEN": str(WRITTEN),
        "PLACED": str(tmp_path / "placed.json"),
        "ASK": str(tmp_path / "ask"),
    }


def worker(environment, number, tmp_path):
    own = {
        "URL": URLS[number],
        "DATADIR": str(tmp_path / f"data-{number}"),
        "REPORT": str(tmp_path / f"report-{number}.json"),
    }
    return FaustWorker("tests.integration.homes.app", tmp_path / f"log-{number}", environment | own)


async def test_ten_thousand_keys_of_each_type_are_where_everyone_says(environment, tmp_path):
    first, second = (worker(environment, number, tmp_path) for number in (0, 1))
    with first:
        # Faust makes the changelogs of plain tables: two workers that start at once crash over them.
        await asyncio.to_thread(first.until, "Worker ready")
        with second:
            await asyncio.to_thread(second.until, "Worker ready")
            reports = await filled_and_reported(environment, tmp_path)
    check(json.loads((tmp_path / "placed.json").read_text()), reports)


async def filled_and_reported(environment, tmp_path):
    """Send every key, and wait until both workers have reported."""
    fill = {
        **os.environ,
        **environment,
        "URL": URLS[0],
        "DATADIR": str(tmp_path / "data-fill"),
        "REPORT": "",
    }
    await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "faust", "-A", "tests.integration.homes.app", "fill"],
        cwd=ROOT,
        env=fill,
        check=True,
        timeout=60,
    )
    (tmp_path / "ask").touch()
    return await reported(tmp_path)


def check(placed, reports):
    for kind, expected in reports[0]["expected"].items():
        assert len(expected) == KEYS
        assert placed[kind] == expected, kind
    assert placed["kafka"] != reports[0]["expected"]["text"]

    for report in reports:
        believed = report["believed"]
        for kind in ("text", "bytes", "int"):
            assert [partition for _, partition in believed[f"{kind}-table"]] == placed[kind]
        for name, kind in {"text-plain": "text", "bytes-plain": "bytes", "loose": "text"}.items():
            assert [partition for _, partition in believed[name]] == placed[kind], name
        assert [partition for _, partition in believed["kafka-table"]] == placed["kafka"]
        assert [p for _, p in believed["grouped"]] == [partition_of(f"group-{n}", 8) for n in range(500)]

    # The worker that the router names is the one that wrote the key into its table.
    assert {url for url, _ in reports[0]["believed"]["loose"]} == set(URLS)
    held = {report["url"]: report["held"] for report in reports}
    for name, answers in reports[0]["believed"].items():
        assert reports[1]["believed"][name] == answers
        where = {key: url for url in URLS for key in held[url][name]}
        assert len(where) == HELD.get(name, KEYS // WRITTEN) == sum(len(held[url][name]) for url in URLS), (
            name
        )
        partitions = {}
        for url in URLS:
            for partition in held[url][name].values():
                assert partitions.setdefault(partition, url) == url
        assert [url for url, _ in answers] == [partitions[partition] for _, partition in answers], name


async def reported(tmp_path, seconds=90.0):
    """Both reports, once all keys are in the tables."""
    deadline = time.monotonic() + seconds
    while True:
        await asyncio.sleep(0.5)
        files = [tmp_path / f"report-{number}.json" for number in (0, 1)]
        if all(file.exists() for file in files):
            reports = [json.loads(file.read_text()) for file in files]
            counts = {
                name: sum(len(report["held"][name]) for report in reports) for name in reports[0]["held"]
            }
            if all(count == HELD.get(name, KEYS // WRITTEN) for name, count in counts.items()):
                return reports
            assert time.monotonic() < deadline, counts
        assert time.monotonic() < deadline
