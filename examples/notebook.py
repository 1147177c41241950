"""A first look at what is published: read it, count it without reading it, see its versions and what differs, query it.

Cells begin with `# %%`: VS Code, PyCharm, Spyder and Jupyter (with Jupytext) open this file as a notebook, and Python runs it as a
script. It needs a home on which something was converged, such as after `spam-pipeline demo`, and changes nothing there.
"""

# %%
import polars as pl

from spam_pipeline import Pipeline
from spam_pipeline.protocol.fingerprint import numbers
from spam_pipeline.protocol.operating import comparison_lines

pipeline = Pipeline()
days = pipeline.partitions("classified_plays")
day = days[0]

# %% [markdown]
# Read: a lazy frame over one day or many, of what is published and nothing else. Spam is a probability, and how much of it is too
# much is for you to say.

# %%
classified = pipeline.read("classified_plays", days)
by_country = (
    classified.group_by("country")
    .agg(plays=pl.len(), below_a_half=(pl.col("spam_probability") < 0.5).sum())
    .sort("plays", "country", descending=[True, False])
    .collect()
)
by_country.head()

# %% [markdown]
# Fingerprint: what was measured when each version was computed. Those of many days add up, and no row is read for it.

# %%
measured = numbers(pipeline.fingerprint("daily_plays", days))
{name: measured[name] for name in ("plays", "plays_without_spam", "spam_share")}

# %% [markdown]
# Versions: everything a day ever was. A late file or another definition makes a new one, and the old ones stay.

# %%
versions = pipeline.versions("plays", day)
published_at = pipeline.published_at(versions)
history = pl.DataFrame(
    {
        "version": [version.recipe[:12] for version, _ in versions],
        "rows": [version.rows for version, _ in versions],
        "verdict": [audit.verdict.value for _, audit in versions],
        "published_at": [published_at.get(version.id) for version, _ in versions],
    }
)
history

# %% [markdown]
# Diff: what differs between two of them, and why. `published`, `newest` and `production` name versions too.

# %%
comparison = pipeline.diff("plays", day, old=history["version"][0], new="published")
print(*comparison_lines(comparison), sep="\n")

# %% [markdown]
# Query: the same in SQL, one view for each stage. `pipeline.query(as_of="2026-01-31")` shows what was published by then.

# %%
connection = pipeline.query()
ranking = connection.sql(
    "select country, sum(plays_without_spam) as plays from reporting.daily_plays group by all order by plays desc, country"
)
ranking
