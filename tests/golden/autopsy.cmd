autopsy
autopsy live
--json autopsy
caps
caps shadowing
