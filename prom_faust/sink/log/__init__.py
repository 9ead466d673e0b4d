"""What a topic and its letters hold: ``kafka`` reads them, ``entry`` says what each record or letter does."""
