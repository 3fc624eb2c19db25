"""Published classifiers of defects, one file each; a method never imports another."""
