"""Control charts: does a cohort that grows still measure what it measured?"""
