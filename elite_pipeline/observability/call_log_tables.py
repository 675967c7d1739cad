"""``ClientLogs.Api``: one row for every API call, with exactly the documented columns.

``spec/systems.md`` section 5. The charset is named and the collation is not: MySQL 8 then takes
utf8mb4_0900_ai_ci, which MariaDB does not have, and MariaDB its own.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

metadata = sa.MetaData()

_SERVERS = ("mysql", "mariadb")
_INT = sa.Integer().with_variant(mysql.INTEGER(unsigned=True), *_SERVERS)
_FLAG = sa.SmallInteger().with_variant(mysql.TINYINT(unsigned=True), *_SERVERS)
_CODE = sa.SmallInteger().with_variant(mysql.SMALLINT(unsigned=True), *_SERVERS)
_PAYLOAD = sa.Text().with_variant(mysql.MEDIUMTEXT(), *_SERVERS)

#: Bytes that fit.
TEXT_BYTES = 65_535
PAYLOAD_BYTES = 16_777_215
#: Characters that fit.
ROUTE_CHARS = 1024
HOSTNAME_CHARS = 255
SOURCE_CHARS = 255
INSTANCE_CHARS = 128
TRANSACTION_CHARS = 64
METHOD_CHARS = 10

_OPTIONS: dict[str, Any] = {
    f"{dialect}_{option}": value
    for dialect in _SERVERS
    for option, value in (("engine", "InnoDB"), ("charset", "utf8mb4"))
}

#: ``dtStamp`` is the moment of sending, UTC.
api = sa.Table(
    "Api",
    metadata,
    sa.Column("id", _INT, primary_key=True, autoincrement=True),
    sa.Column("uuid", sa.CHAR(36), nullable=False),
    sa.Column("dtStamp", sa.DateTime, nullable=False),
    sa.Column("transactionId", sa.String(TRANSACTION_CHARS)),
    sa.Column("apiId", _INT),
    sa.Column("userId", _INT),
    sa.Column("isAuthRequest", _FLAG, nullable=False, server_default=sa.text("0")),
    sa.Column("direction", sa.Enum("IN", "OUT", name="direction"), nullable=False),
    sa.Column("source", sa.String(SOURCE_CHARS)),
    sa.Column("sourceIp", sa.String(45)),
    sa.Column("instanceId", sa.String(INSTANCE_CHARS)),
    sa.Column("executionTimeSeconds", sa.Numeric(10, 4, asdecimal=False)),
    sa.Column("method", sa.String(METHOD_CHARS), nullable=False),
    sa.Column("hostname", sa.String(HOSTNAME_CHARS), nullable=False),
    sa.Column("route", sa.String(ROUTE_CHARS), nullable=False),
    sa.Column("responseCode", _CODE),
    sa.Column("queryString", sa.Text),
    sa.Column("requestHeaders", sa.Text),
    sa.Column("requestPayload", _PAYLOAD),
    sa.Column("responseHeaders", sa.Text),
    sa.Column("responsePayload", _PAYLOAD),
    **_OPTIONS,
)
