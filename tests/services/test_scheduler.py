import email.utils
import threading
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from mantis_astro.services.request import HttpRequest
from mantis_astro.services.scheduler import Job, RetryPolicy, Scheduler
from mantis_astro.services.transport import Answer, TransportError
from mantis_astro.services.validation import BadAnswerError, check_status
from tests.services.fakes import FakeClock

POLICY = RetryPolicy(
    retries=4,
    backoff=1.0,
    backoff_max=60.0,
    retry_after_max=300.0,
    answer_timeout=120.0,
    total_timeout=900.0,
    give_up_after=300.0,
)


class Script:
    """A transport that answers each address from a list, then with the last entry."""

    def __init__(self, answers):
        self.answers = {url: list(given) for url, given in answers.items()}
        self.sent = []
        self.seconds = []
        self.closed = False

    def send(self, http, *, seconds):
        self.sent.append(http.url)
        self.seconds.append(seconds)
        given = self.answers[http.url]
        answer = given.pop(0) if len(given) > 1 else given[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self):
        self.closed = True


def accept(answer):
    check_status(answer.status, answer.content)
    if answer.content != b"good":
        raise BadAnswerError(
            answer.content.decode(), lasting=answer.content == b"never"
        )
    return answer.content


def run(answers, *, policy=POLICY, cap=1, rate=0.0, urls=None, patience=0.002):
    """Send each address once; return outcomes by address, transport and clock."""
    transport, clock, outcomes = Script(answers), FakeClock(patience), {}
    scheduler = Scheduler(
        transport,
        policy,
        connections_per_host=cap,
        requests_per_second=rate,
        clock=clock,
        rng=np.random.default_rng(0),
    )
    for url in urls or answers:
        done = outcomes.setdefault(url, []).append
        scheduler.submit(Job(HttpRequest(url), accept, done))
    try:
        while scheduler.pending:
            scheduler.step()
    finally:
        scheduler.close()
    assert transport.closed
    return {url: got[0] for url, got in outcomes.items()}, transport, clock


GOOD = Answer(content=b"good")
URL = "http://a/1"


def test_a_good_answer_needs_one_request():
    outcomes, transport, clock = run({URL: [GOOD]})
    assert outcomes == {URL: b"good"}
    assert transport.sent == [URL]
    assert clock.waits == []


@pytest.mark.parametrize(
    "trouble",
    [TransportError("reset"), Answer(503), Answer(429), Answer(content=b"rubbish")],
    ids=["transport", "503", "429", "content"],
)
def test_passing_trouble_is_repeated_up_to_the_bound(trouble):
    outcomes, transport, _ = run({URL: [trouble] * 4 + [GOOD]})
    assert outcomes[URL] == b"good"
    outcomes, transport, _ = run({URL: [trouble]})
    assert len(transport.sent) == 1 + POLICY.retries
    assert "; tried 5 times in" in str(outcomes[URL])


@pytest.mark.parametrize("trouble", [Answer(404), Answer(content=b"never")])
def test_a_refusal_is_repeated_once(trouble):
    outcomes, transport, _ = run({URL: [trouble]})
    assert len(transport.sent) == 2
    assert isinstance(outcomes[URL], TransportError)


def test_an_accident_before_does_not_make_a_refusal_final():
    answers = [TransportError("reset"), Answer(404), TransportError("reset"), GOOD]
    outcomes, *_ = run({URL: answers})
    assert outcomes[URL] == b"good"


def test_waits_double_with_jitter():
    _, _, clock = run({URL: [TransportError("reset")]}, policy=POLICY)
    waits = np.array([wait for wait in clock.waits if wait > 0][:4])
    longest = np.array([1, 2, 4, 8])
    assert np.all((waits >= longest / 2 - 1e-9) & (waits <= 8 + 1e-9))
    assert POLICY.wait(1, np.random.default_rng(0)) != POLICY.wait(
        1, np.random.default_rng(1)
    )


def test_waits_are_bounded():
    draws = [POLICY.wait(n, np.random.default_rng(n)) for n in range(1, 3000, 100)]
    assert max(draws) <= POLICY.backoff_max
    assert min(draws) >= POLICY.backoff / 2


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_granted(form):
    moment = datetime.now(UTC) + timedelta(seconds=50)
    text = "50" if form == "seconds" else email.utils.format_datetime(moment)
    answers = [Answer(429, headers={"Retry-After": text}), GOOD]
    outcomes, _, clock = run({URL: answers})
    assert outcomes[URL] == b"good"
    assert clock.time == pytest.approx(50, abs=2)


def test_retry_after_is_bounded():
    answers = [Answer(429, headers={"Retry-After": "86400"}), GOOD]
    _, _, clock = run({URL: answers})
    assert clock.time == pytest.approx(POLICY.retry_after_max, rel=0.01)


@pytest.mark.parametrize("text", ["soon", "", "-5"])
def test_a_retry_after_without_sense_is_passed_over(text):
    answers = [Answer(503, headers={"Retry-After": text}), GOOD]
    outcomes, _, clock = run({URL: answers})
    assert outcomes[URL] == b"good"
    assert clock.time <= POLICY.backoff


def test_retry_after_holds_for_the_whole_host():
    answers = {f"http://a/{i}": [GOOD] for i in range(5)}
    answers["http://a/0"] = [Answer(429, headers={"Retry-After": "50"}), GOOD]
    times = {}

    class Timed(Script):
        def send(self, http, *, seconds):
            times.setdefault(http.url, clock.now())
            return super().send(http, seconds=seconds)

    clock = FakeClock()
    scheduler = Scheduler(
        Timed(answers),
        POLICY,
        connections_per_host=1,
        requests_per_second=0,
        clock=clock,
        rng=np.random.default_rng(0),
    )
    scheduler.submit(Job(HttpRequest("http://a/0"), accept, lambda _: None))
    scheduler.step()
    for i in range(1, 5):
        scheduler.submit(Job(HttpRequest(f"http://a/{i}"), accept, lambda _: None))
    while scheduler.pending:
        scheduler.step()
    scheduler.close()
    assert min(times[f"http://a/{i}"] for i in range(1, 5)) >= 50


def test_retry_after_holds_before_the_caller_has_looked_at_the_answer():
    """A caller who is busy must not let the others in."""
    answers = {f"http://a/{i}": [GOOD] for i in range(20)}
    answers["http://a/0"] = [Answer(503, headers={"Retry-After": "50"}), GOOD]
    transport, clock = Script(answers), FakeClock()
    scheduler = Scheduler(
        transport,
        POLICY,
        connections_per_host=1,
        requests_per_second=0,
        clock=clock,
        rng=np.random.default_rng(0),
    )
    for url in answers:
        scheduler.submit(Job(HttpRequest(url), accept, lambda _: None))
    while len(transport.sent) < 2:  # nobody looks at the first answer
        time.sleep(0.001)
    assert clock.time >= 50
    while scheduler.pending:
        scheduler.step()
    scheduler.close()


def test_the_total_time_of_a_request_is_bounded():
    policy = RetryPolicy(
        retries=100,
        backoff=10.0,
        backoff_max=10.0,
        retry_after_max=10.0,
        answer_timeout=120.0,
        total_timeout=60.0,
        give_up_after=1e9,
    )
    _, transport, clock = run({URL: [TransportError("reset")]}, policy=policy)
    assert clock.time <= 60
    assert 6 <= len(transport.sent) <= 13  # waits of 5 to 10 s
    assert max(transport.seconds) == 60.0
    assert transport.seconds[-1] < 20


def test_the_time_of_a_slow_caller_is_not_the_server_s():
    """An answer that waits to be looked at for an hour is repeated all the same."""
    clock, outcomes = FakeClock(), []
    transport = Script({URL: [TransportError("reset"), GOOD]})
    scheduler = Scheduler(
        transport,
        POLICY,
        connections_per_host=1,
        requests_per_second=0,
        clock=clock,
        rng=np.random.default_rng(0),
    )
    scheduler.submit(Job(HttpRequest(URL), accept, outcomes.append))
    while scheduler._results.empty():
        time.sleep(0.001)
    clock.time += 3600
    while scheduler.pending:
        scheduler.step()
    scheduler.close()
    assert outcomes == [b"good"]


def test_a_host_that_stays_silent_counts_as_down():
    """A long table does not wait for a dead host object by object."""
    urls = [f"http://a/{i}" for i in range(500)]
    outcomes, transport, clock = run({url: [Answer(503)] for url in urls})
    assert all("counts as down" in str(outcomes[url]) for url in urls[-100:])
    assert clock.time < 2 * (POLICY.give_up_after + POLICY.backoff_max)
    assert len(transport.sent) < len(urls)  # five each, else


def test_a_short_outage_is_ridden_out():
    down = [TransportError("refused")] * 3
    answers = {f"http://a/{i}": [*down, GOOD] for i in range(50)}
    outcomes, _, _ = run(answers)
    assert set(outcomes.values()) == {b"good"}


def test_another_host_is_not_held_back():
    answers = {"http://a/1": [Answer(429, headers={"Retry-After": "200"}), GOOD]}
    answers |= {f"http://b/{i}": [GOOD] for i in range(5)}
    outcomes, transport, _ = run(answers, patience=1.0)
    assert transport.sent[-1] == "http://a/1"
    assert set(outcomes.values()) == {b"good"}


def test_the_rate_limit_spaces_requests():
    answers = {f"http://a/{i}": [GOOD] for i in range(11)}
    _, _, clock = run(answers, rate=2.0)
    assert clock.time == pytest.approx(5.0)


def test_no_more_requests_at_a_time_than_the_cap():
    barrier = threading.Barrier(3, timeout=5)
    now, most = [0], [0]
    lock = threading.Lock()

    class Counting(Script):
        def send(self, http, *, seconds):
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            barrier.wait()  # three at a time, or this breaks
            with lock:
                now[0] -= 1
            return GOOD

    scheduler = Scheduler(
        Counting({}),
        POLICY,
        connections_per_host=3,
        requests_per_second=0,
        clock=FakeClock(),
        rng=np.random.default_rng(0),
    )
    for i in range(12):
        scheduler.submit(Job(HttpRequest(f"http://a/{i}"), accept, lambda _: None))
    while scheduler.pending:
        scheduler.step()
    scheduler.close()
    assert most[0] == 3


def test_whatever_a_broken_file_does_to_a_parser_stays_with_its_object():
    def explode(_):
        raise KeyError("CTYPE1")

    outcomes = []
    scheduler = Scheduler(
        Script({URL: [GOOD]}),
        POLICY,
        connections_per_host=1,
        requests_per_second=0,
        clock=FakeClock(),
        rng=np.random.default_rng(0),
    )
    scheduler.submit(Job(HttpRequest(URL), explode, outcomes.append))
    while scheduler.pending:
        scheduler.step()
    scheduler.close()
    assert "cannot be read (KeyError('CTYPE1'))" in str(outcomes[0])


def test_a_broken_transport_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        run({URL: [ZeroDivisionError()]})
