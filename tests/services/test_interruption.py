import os
import signal
import threading

import pytest

from mantis_astro.services.interruption import DeferredInterrupt

pytestmark = pytest.mark.usefixtures("ctrl_c")


def press_ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_waits_for_the_end_of_the_block():
    reached = []

    def work():
        press_ctrl_c()
        reached.append(True)

    with pytest.raises(KeyboardInterrupt), DeferredInterrupt():
        work()
    assert reached
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_is_not_lost_where_python_would_print_and_forget_it():
    class Forgetful:
        def __del__(self):
            press_ctrl_c()

    with pytest.raises(KeyboardInterrupt), DeferredInterrupt():
        Forgetful()


def test_a_block_inside_a_block_leaves_it_to_the_outer_one():
    reached = []

    def work():
        with DeferredInterrupt():
            press_ctrl_c()
        reached.append(True)

    with pytest.raises(KeyboardInterrupt), DeferredInterrupt():
        work()
    assert reached


def test_a_program_that_handles_ctrl_c_itself_is_left_alone():
    noted = []
    before = signal.signal(signal.SIGINT, lambda *_: noted.append(True))
    try:
        with DeferredInterrupt():
            press_ctrl_c()
            assert noted == [True]
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_may_enter():
    entered = []

    def enter():
        with DeferredInterrupt():
            entered.append(True)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert entered


def test_a_job_that_ignores_ctrl_c_goes_on_ignoring_it():
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell does for "&"
    with DeferredInterrupt():
        press_ctrl_c()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
