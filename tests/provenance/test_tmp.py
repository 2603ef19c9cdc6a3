from pathlib import Path
def test_x(benchmark):
    from aiida_edl.provenance.report import write_report
    import time; t=time.time()
    print(write_report(benchmark.process, Path('/tmp/taskf/report')), time.time()-t)
