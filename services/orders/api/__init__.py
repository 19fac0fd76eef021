"""The RPCs of orders: parse, open the transaction, call a command or a store, format.

`upload` handles the stream of UploadOrders, `servicer` all other methods.
"""
