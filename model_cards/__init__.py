"""A package, so that the template is installed with dcgan_hf."""
