"""Code versions: the code that a stage rests on, as a digest that can be taken apart. Sources are read; nothing is imported or run."""
