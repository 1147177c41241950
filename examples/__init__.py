"""Examples for people who build on this pipeline: another team's code location, and a notebook. The tests run all of them."""
