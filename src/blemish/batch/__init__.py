"""Any number of pictures, wherever they lie, inspected by many processes or machines; results in parts."""
