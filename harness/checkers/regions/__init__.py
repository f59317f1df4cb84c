"""The general multi-region pattern (MRA-1 to MRA-44), judged from what a store over regions did."""
