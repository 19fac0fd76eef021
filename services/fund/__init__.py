"""Fund (基金): the ledger, the monthly settlement, the equalisation between pooling areas."""
