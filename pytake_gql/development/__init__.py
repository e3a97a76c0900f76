"""Pages that help while developing; none of them exists in production."""
