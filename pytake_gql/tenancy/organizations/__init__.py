"""The companies on the platform, and the browser front ends that may call for them."""
