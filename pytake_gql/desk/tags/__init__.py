"""Tags: coloured words that an organization hangs on its contacts and conversations."""
