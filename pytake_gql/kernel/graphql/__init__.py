"""The GraphQL side of the kernel: types with descriptions, fields with rules, errors with codes."""
