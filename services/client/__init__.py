"""A platform's client: workers (`enrolment`), uploads of orders (`upload`), proofs (`proofs`).

    mapping = load_mapping(Path("mapping.toml"))
    for platform, part in summarise_file(file, mapping).items():
        known = await look_up_workers(enrolment_stub, platform, part.worker_numbers)
        tables = (with_workers(table, known) for table in orders_of(file, mapping, platform))
        batches = split_into_batches(tables, run="2025-07-31")
        receipts = await upload_orders(orders_stub, platform, batches)

A batch without an answer is sent again under the same id; the service then answers with the first
receipt. `channels` opens the channels that stubs are made of. See docs/client.md.
"""
