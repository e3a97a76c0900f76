"""Who may be here: organizations, members, sign-in."""
