"""Suspected incidents: groups of listening that are unlike others of their size, for a person to decide.

`listening` is what a day leaves for it; `groups` finds tracks that belong together, `families` weighs the evidence against peers,
`slices` chooses the devices, `ranking` makes suspicions of groups and remembers what people decided, and `carried` spreads a
confirmed incident to the rest of its campaign. `docs/signals.md` has each family with its null, its cost and what hides it.
"""
