"""What each verb takes and does: one file a verb, `add_arguments(parser)` and `run(args)`."""
