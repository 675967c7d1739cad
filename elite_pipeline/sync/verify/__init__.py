"""``verify``: whether both sides agree, record by record and file by file (``spec/sync.md`` 10, 15).

Nothing is ever written here. What a row should hold is asked of the engine that writes it, with a
transaction that notes writes instead of doing them (``watching``): what a whole run would leave alone is
equal. What the engine would not meet, or could be mistaken about, is found out beside it, from both sides
read in the order of their own keys (``sides``): what is missing, doubled, in the wrong place, or leads to
somebody else; and bytes.

``run`` is the entrance. What does not belong here: how an operator sees it (``verify_command``,
``defs.verify_checks``).
"""
