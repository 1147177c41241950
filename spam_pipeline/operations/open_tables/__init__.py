"""Publications as Iceberg tables, for engines that know nothing of this pipeline; no data is read, copied or moved.

`schemas` has the columns of a contract as engines see them, `snapshots` writes what a publication changes in a table, `catalogue`
is where tables are found and committed, `export` brings tables to what the ledger says.
"""
