"""Execution: computing, auditing, publishing and delivering versions, converging, and carrying out decisions and promotions."""
