import gc

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
