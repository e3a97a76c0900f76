"""PyTake: a multi-tenant customer-service platform behind one GraphQL schema."""
