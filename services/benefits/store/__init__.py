"""The tables of benefits, with a module for each aggregate."""
