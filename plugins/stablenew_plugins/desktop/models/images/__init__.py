"""Images that were made: looked at, rated, compared, sent on."""
