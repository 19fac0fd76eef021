"""The command line `oip`, for people at platforms, agencies and the fund office."""
