"""A webhook is told once, of an address that is a secret, and no server can hold up or break what it is told of."""

from __future__ import annotations

import socket
import time

import pytest

import shared_runs
from bench.errors import UserError
from bench.launch import webhook
from bench.launch.notices import MOST_RUNS, Told, command_ended
from bench.launch.progress import Plain, Tally
from bench.launch.slurm.job_notices import JobNotices
from bench.launch.slurm.records import ArrayRecord, Submission, folder_of, save
from bench.launch.webhook import Webhook, usual_address
from bench.plan.load import load_table
from bench.plan.project import project_file
from bench.plan.runs import make_plan
from bench.plan.schedule import PlannedRun
from bench.store.runs import Store
from webhook_server import SECRET, Server

TABLE = """
schema_version: 1
title: broken
seeds: 1
snapshot: final
metrics: [fd]
rows: [{id: whole, label: Whole, method: baseline}, {id: broken, label: Broken, method: broken + baseline}]
columns: [{id: shapes, label: Shapes}]
scales:
  smoke:
    network: {name: sngan-32, options: {g_width: 8, d_width: 8, z_dim: 16, sn_generator: true}}
    train: {steps: 2, batch: 4, g_lr: 1.0e-3, d_lr: 1.0e-3}
    protocol: {name: broken, version: 1, every: 2, metrics: [{name: fd, extractor: effnet_lite0@32}]}
    columns:
      shapes: {data: {name: shapes, resolution: 32, shots: 16}, generated: 24, reference: 24}
"""
PLUGIN = '''
"""A method that fails."""
from bench.train import Method

class Broken(Method):
    """Raises."""

    def after_step(self, ctx):
        raise RuntimeError("TOKEN=hidden in /home/me/private")
'''


def status(code, **headers):
    def answer(handler):
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()

    return answer


def hang(handler):
    time.sleep(30)


def drip(handler):
    """An answer whose head never ends: every byte comes within any timeout between two."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for _ in range(300):
        handler.wfile.write(b"X: y\r\n")
        handler.wfile.flush()
        time.sleep(0.1)


@pytest.fixture
def server(monkeypatch):
    made = Server()
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "BENCH_NOTIFY"):
        monkeypatch.delenv(name, raising=False)
    yield made
    made.close()


def told(address, message=None):
    """Send one message; what was said of it, and how long all took."""
    said, begin = [], time.monotonic()
    hook = Webhook(address, said.append)
    hook.send(message or {"text": "hello"})
    sent = time.monotonic() - begin
    hook.close()
    assert sent < 0.2  # nobody waits for the message to be sent
    return said, time.monotonic() - begin


def test_a_message_is_posted_once(server):
    assert told(server.url, {"text": "päng"})[0] == []
    assert server.messages == [{"text": "päng"}] and server.bodies[0][0] == SECRET


@pytest.mark.parametrize("answer", [hang, drip])
def test_a_server_that_hangs_costs_the_timeout_and_no_more(server, answer, monkeypatch):
    monkeypatch.setattr(webhook, "SECONDS", 0.4)
    server.answer = answer
    said, seconds = told(server.url)
    assert 0.3 < seconds < 1.5 and len(server.bodies) == 1
    assert len(said) == 1 and "no answer within 0 s" in said[0] and "SECRET" not in said[0]


@pytest.mark.parametrize(
    ("answer", "why"),
    [(status(500), "HTTP 500"), (status(404), "HTTP 404"), (status(302, Location="/elsewhere"), "HTTP 302")],
)
def test_a_refusal_is_one_line_and_a_redirection_is_not_followed(server, answer, why):
    server.answer = answer
    said, _ = told(server.url)
    assert said == [f"notify: 127.0.0.1: not delivered: {why}"] and len(server.bodies) == 1


def test_a_server_that_is_not_there_is_one_line():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said, seconds = told(f"http://127.0.0.1:{port}{SECRET}")
    assert said == ["notify: 127.0.0.1: not delivered: Connection refused"] and seconds < 2
    said, _ = told(f"http://no-such-host.invalid{SECRET}")
    assert len(said) == 1 and said[0].startswith("notify: no-such-host.invalid: not delivered: ")


def test_garbage_in_place_of_http_is_one_line(server):
    server.answer = lambda handler: handler.wfile.write(b"\x00\xff not http\r\n\r\n")
    said, _ = told(server.url)
    assert len(said) == 1 and "not delivered" in said[0]


@pytest.mark.parametrize(
    "address",
    ["ftp://host/SECRET", "file:///etc/SECRET", "SECRET", "http://", "https:///SECRET", "http://host:port/SECRET",
     "http://host/a SECRET", "http://host/SECRET\n", "http://[::1/SECRET", "http://me:SECRET@host/x"],
)  # fmt: skip
def test_what_is_no_address_is_refused_without_repeating_it(address, monkeypatch):
    with pytest.raises(UserError, match=r"^--notify: ") as refusal:
        usual_address(address)
    assert "SECRET" not in str(refusal.value)
    monkeypatch.setenv("BENCH_NOTIFY", address)
    with pytest.raises(UserError, match=r"^\$BENCH_NOTIFY: "):
        usual_address()


def test_the_option_comes_before_the_environment_and_the_project_file(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert usual_address() is None
    (tmp_path / "bench.toml").write_text('notify = "http://file"\n')
    assert usual_address() == "http://file"
    (tmp_path / "bench.toml").write_text(f'notify = "http://file{SECRET}"\n')
    assert "notify (an address)" in str(project_file()) and "SECRET" not in str(project_file())
    monkeypatch.setenv("BENCH_NOTIFY", "http://environment")
    assert usual_address() == "http://environment"
    assert usual_address("http://option") == "http://option"


def test_bench_run_tells_of_a_failed_run_and_of_the_end(server, bench_command, tmp_path):
    (tmp_path / "broken.yaml").write_text(TABLE)
    (tmp_path / "broken.py").write_text(PLUGIN)
    words = ["run", "broken.yaml", "--plugin", "broken.py", "--no-references", "--jobs", "2"]
    done = bench_command(*words, cwd=tmp_path, BENCH_NOTIFY=server.url)
    assert done.returncode == 1, done.stderr
    failed, end = server.messages
    assert (failed["event"], failed["state"], failed["label"]) == ("run", "failed", "broken · shapes · seed 0")
    assert failed["id"] == "broken at smoke" and failed["host"] == socket.gethostname() and failed["uid"]
    assert (end["event"], end["state"], end["counts"]) == ("command", "failed", {"done": 1, "failed": 1})
    assert end["text"] == end["content"] and "2 runs: " in end["text"] and 0 < end["hours"] < 0.1
    # Neither secrets nor paths, in messages; of the address its host alone, anywhere
    assert not any(word in str(server.messages) for word in ("TOKEN", "/home", str(tmp_path), "SECRET"))
    assert "SECRET" not in done.stdout + done.stderr
    # Nothing to do: nothing to tell
    assert bench_command(*words, "--rows", "whole", cwd=tmp_path, BENCH_NOTIFY=server.url).returncode == 0
    assert len(server.messages) == 2


def test_a_hanging_server_changes_neither_the_outcome_nor_the_exit_status(server, bench_command, tmp_path):
    server.answer = hang
    (tmp_path / "broken.yaml").write_text(TABLE)
    (tmp_path / "broken.py").write_text(PLUGIN)
    words = ["run", "broken.yaml", "--plugin", "broken.py", "--no-references", "--rows", "whole"]
    begin = time.monotonic()
    done = bench_command(*words, "--notify", server.url, cwd=tmp_path)
    assert done.returncode == 0 and "notify: 127.0.0.1: " in done.stderr and time.monotonic() - begin < 60
    (end,) = server.messages
    assert end["state"] == "done" and end["score"]["value"] > 0 and end["score"]["step"] == 2 and end["uid"]


def runs_of(store, rows):
    return make_plan(load_table("table1"), "smoke", store, rows, ["faces"], [0, 1], False).runs


def test_of_many_failures_the_first_are_told_and_the_end_counts_all(server, store_root):
    said = []
    hook = Webhook(server.url, said.append)
    runs = runs_of(Store(store_root), ["scratch"])
    many = [PlannedRun(runs[0].spec, title=f"run {number}") for number in range(MOST_RUNS + 5)]
    watcher = Told(Plain(Tally(many)), hook, "table1")
    for run in many:
        watcher.started(run)
        watcher.ended(run, "failed")
    hook.close()
    assert said == [] and len(server.messages) == MOST_RUNS


def test_the_score_of_a_single_run_is_in_the_last_message(store_root):
    store = Store(store_root)
    (uid,) = shared_runs.fill(store, rows=["scratch"], seeds=[0])
    (run,) = [run for run in runs_of(store, ["scratch"]) if run.uid == uid]
    message = command_ended("table1 at smoke", [run], {uid: "done"}, store, "done", 1.5)
    assert message["score"] == {"name": "FD(effnet_lite0@64)", "value": 100.0, "step": 20} and message["hours"] == 1.5
    assert message["text"].startswith("bench: table1 at smoke: scratch · faces · seed 0 done, FD(effnet_lite0@64) 100 ")


def test_the_last_job_of_a_submission_tells_that_it_is_over(server, store_root, monkeypatch):
    store = Store(store_root)
    first, second = (
        shared_runs.fill(store, rows=["scratch"], seeds=[0])[0],
        shared_runs.specs(["diffaugment"], [0])[0][1],
    )
    arrays = (ArrayRecord(name="bench-a-0", jobs=((first,), (second.uid,)), number="7"),)
    record = Submission(id="a", table="disp/table1", scale="smoke", profile="p", user="u", host="h",
                        time=time.time() - 3600, commit="c", arrays=arrays, labels={first: "the first"})  # fmt: skip
    save(store, record)
    store.open(second)
    JobNotices(store, folder_of(store, "a")).close()  # nobody to tell
    monkeypatch.setenv("BENCH_NOTIFY", server.url)
    JobNotices(store, folder_of(store, "a")).close()
    assert server.messages == []  # one run is not over
    store.folder(second.uid).fail("RuntimeError: broken")
    for _ in range(2):  # two jobs end at the same time
        JobNotices(store, folder_of(store, "a")).close()
    (message,) = server.messages
    assert (message["id"], message["state"]) == ("disp/table1 at smoke", "failed")
    assert message["counts"] == {"done": 1, "failed": 1} and message["hours"] == pytest.approx(1, abs=0.05)
