"""Makes a certificate for the suite's mail server, and that of who signed it: `certificates.py FOLDER`."""

import pathlib
import sys

import trustme

authority = trustme.CA()
folder = pathlib.Path(sys.argv[1])
authority.cert_pem.write_to_path(folder / "mail-ca.pem")
authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(folder / "mail.pem")
