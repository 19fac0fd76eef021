"""A platform's client: `enrolment` of workers, `files` of orders, `upload` and `proofs`.

    mapping = load_mapping(Path("mapping.toml"))
    summary = summarise_file(file, mapping)
    summary.require_few_wrong(file.name)
    for platform, part in summary.parts.items():
        known = await look_up_workers(enrolment_stub, platform, part.worker_numbers)
        tables = (with_workers(table, known) for table in orders_of(file, mapping, platform))
        batches = split_into_batches(tables, run="2025-07-31")
        receipts = await upload_orders(orders_stub, platform, batches)

A batch without an answer is sent again under the same id; the service then answers with the first
receipt. `channels` opens the channels that stubs are made of. See docs/client.md.
"""
