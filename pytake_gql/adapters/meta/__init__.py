"""WhatsApp (Cloud API) and Instagram (Messaging), by Meta's Graph protocol."""
