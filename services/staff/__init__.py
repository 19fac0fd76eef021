"""The staff register: who may act, in which role, where and until when."""
