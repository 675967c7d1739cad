import gc
from contextlib import ExitStack

import pytest

from elite_pipeline.sync.collecting import seldom_collected


def test_the_usual_threshold_is_back_afterwards_also_after_an_error() -> None:
    usual = gc.get_threshold()
    with seldom_collected():
        assert gc.get_threshold()[0] > usual[0]
        assert gc.isenabled()
    assert gc.get_threshold() == usual
    with pytest.raises(KeyError), seldom_collected():
        raise KeyError
    assert gc.get_threshold() == usual


def test_the_usual_threshold_is_back_when_the_last_of_several_ends() -> None:
    usual = gc.get_threshold()
    first, second = ExitStack(), ExitStack()
    first.enter_context(seldom_collected())
    second.enter_context(seldom_collected())
    first.close()
    assert gc.get_threshold() != usual
    second.close()
    assert gc.get_threshold() == usual
