"""What must hold in every run, judged all along from client histories, packets and probes of the checker's own."""
