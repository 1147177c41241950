"""Royalties: what plays earn, and who is paid for them."""
