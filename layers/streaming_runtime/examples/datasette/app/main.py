import sqlite3
from pathlib import Path

from datasette.app import Datasette

# Yours lies beside this file instead, and is read where it is: `Datasette(immutables=["stations.db"])`.
DATABASE = Path("/tmp/numbers.db")  # nosec B108  # noqa: S108  the folder where Lambda lets a function write
ROWS = 300_000

DATABASE.unlink(missing_ok=True)
with sqlite3.connect(DATABASE) as database:
    database.execute("create table squares (number integer primary key, square integer, cube integer)")
    database.executemany("insert into squares values (?, ?, ?)", ((n, n**2, n**3) for n in range(ROWS)))
database.close()

app = Datasette([str(DATABASE)], settings={"max_csv_mb": 0, "base_url": "/"}).app()
