"""Code versions: what code a stage rests on, as a digest that can be taken apart. Source files are read; nothing is imported or run."""
