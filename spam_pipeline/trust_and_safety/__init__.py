"""Trust & safety: the spam probability and class of every play, with reasons. Consumers choose how much spam to tolerate."""
