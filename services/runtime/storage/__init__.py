"""PostgreSQL: transactions, migrations, the tables of every service, audit, encryption."""
