import pytest

from elite_pipeline.errors import ConfigurationError
from elite_pipeline.locks import lock_name
from elite_pipeline.togadesk import connect


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("sqlite://", "sqlite"),
        ("mysql://u:p@h/db", "mysql+pymysql"),
        ("mysql+pymysql://u:p@h/db", "mysql+pymysql"),
        ("mariadb://u:p@h/db", "mariadb+pymysql"),
        ("mariadb+pymysql://u:p@h/db?charset=latin1&sql_mode=", "mariadb+pymysql"),
    ],
)
def test_accepted_urls(url: str, driver: str) -> None:
    engine = connect(url)
    assert engine.url.drivername == driver
    assert not engine.url.query


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "not a database URL"),
        ("s3cret", "not a database URL"),
        ("mysql://u:s3cret@h:port/db", "not a database URL"),
        ("postgresql://u:s3cret@h/db", "'postgresql', which is not supported"),
        ("mysql+pymysql://u:s3cret@h", "names no database"),
        ("mysql+pymysql://u:p@h/s3cret@host/db", "%40, %2F and %3A"),
    ],
)
def test_an_unusable_url_is_one_message_without_the_password(url: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        connect(url)
    assert "TOGADESK_DATABASE_URL" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_lock_names_keep_to_what_servers_keep() -> None:
    assert lock_name("desk", "contacts/1") == "elite_pipeline.desk.contacts/1"
    long = lock_name("desk", "x" * 100)
    assert len(long) <= 64
    assert long.startswith("elite_pipeline.")
    assert long != lock_name("desk", "x" * 101)
