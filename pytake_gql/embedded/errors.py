class EmbeddedServerError(Exception):
    """A development server could not be started, found or stopped; the text says why, for people."""
