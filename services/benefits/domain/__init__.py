"""Rules of benefits: plain functions from facts and dated parameters to amounts with findings."""
