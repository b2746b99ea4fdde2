"""The masked transformer, its adapters, batches and devices."""
