"""Where contacts write: web chat, and later WhatsApp and Instagram."""
